"""`python -m bench`: works from any python3, because it moves itself into the clone's own environment first."""

from tools.venv import enter

if __name__ == "__main__":
    enter("bench")

    from bench.figures import main

    main()
