"""`python -m sandbox`: works from any python3, because it moves itself into the clone's own environment first."""

from tools.venv import enter

if __name__ == "__main__":
    enter("sandbox")

    from sandbox.cli import main

    main()
