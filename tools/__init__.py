"""The programs that the sandbox and the tests need, provided on any machine: see provide.py and venv.py."""
