"""`python -m bench`: works with any python3, because it first switches to the virtual environment of the clone."""

from tools.venv import enter

if __name__ == "__main__":
    enter("bench")

    from bench.figures import main

    main()
