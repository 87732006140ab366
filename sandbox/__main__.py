"""`python -m sandbox`: works from any python3, because it first restarts itself in the clone's own environment."""

from tools.venv import enter

if __name__ == "__main__":
    enter("sandbox")

    from sandbox.cli import main

    main()
