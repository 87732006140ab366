"""The Python environment of this clone: `.venv`, created and kept up to date from requirements-dev.txt.

`python3 -m tools.venv -m sandbox up` runs a module in it; `enter("sandbox")`, called first in a `__main__.py`, restarts
the running `python -m sandbox` in it. `$GPUYARD_VENV` sets another folder; an environment there that this module did
not make is used unchanged.

Uses only the standard library, and syntax that an outdated Python can run, so that it can report its version.
"""

import contextlib
import hashlib
import os
import subprocess
import sys
import time

try:
    import fcntl
except ImportError:  # Windows: the check below reports the fix
    fcntl = None

OLDEST = (3, 10)
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PINS = ("requirements-dev.txt",)
STAMP = ".gpuyard"
USUAL = "1 to 3 min"


class VenvError(Exception):
    """The environment cannot be created; the text has the problem and the fix."""


def folder():
    """The path of the environment."""
    return os.path.abspath(os.environ.get("GPUYARD_VENV") or os.path.join(ROOT, ".venv"))


def python(venv):
    return os.path.join(venv, "bin", "python")


def ensure(venv=None):
    """Creates or updates the environment if necessary, and returns its python. Raises VenvError."""
    venv = venv or folder()
    if is_current(venv):
        return python(venv)
    if sys.version_info[:2] < OLDEST:
        raise VenvError(
            f"gpuyard needs Python {OLDEST[0]}.{OLDEST[1]} or newer; {sys.executable} is {sys.version.split()[0]}.\n"
            "Fix: install one and name it, for example `make up PYTHON=python3.12`"
        )
    if fcntl is None:
        raise VenvError("gpuyard's sandbox runs on Linux and macOS.\nFix: on Windows, use it inside WSL")
    if _is_foreign(venv):
        if os.path.exists(python(venv)):
            return python(venv)
        raise VenvError(f"{venv} has no bin/python.\nFix: unset GPUYARD_VENV or point it elsewhere")
    try:
        os.makedirs(os.path.dirname(venv), exist_ok=True)
        lock = open(venv + ".lock", "w")  # noqa: SIM115 - held below
    except OSError as error:
        fix = "Fix: set GPUYARD_VENV to another folder"
        raise VenvError(f"{venv} cannot be written: {error.strerror}.\n{fix}") from None
    with lock:
        _wait_for(lock)
        if not is_current(venv):  # another run may have updated it meanwhile
            _make(venv)
    return python(venv)


def is_current(venv):
    """Whether the environment is complete and was created from the current pins of the clone."""
    try:
        with open(os.path.join(venv, STAMP)) as stamp:
            return stamp.read() == _pins(venv) and os.path.exists(python(venv))
    except OSError:
        return False


def enter(module):
    """Continues as `python -m module` inside the environment. Returns at once if this process is already in it."""
    venv = folder()
    if os.path.realpath(sys.prefix) == os.path.realpath(venv) and (_is_foreign(venv) or is_current(venv)):
        return
    run(module, sys.argv[1:])


def run(module, arguments):
    """Replaces this process by `python -m module arguments` in the environment."""
    try:
        program = ensure()
    except VenvError as error:
        sys.exit("\n" + str(error))
    except KeyboardInterrupt:
        sys.exit("\nInterrupted; run it again, it continues from there.")
    # As in an activated environment: pyright, for example, asks the `python` on PATH for the installed packages.
    os.environ["VIRTUAL_ENV"] = folder()
    os.environ["PATH"] = os.pathsep.join([os.path.dirname(program), os.environ.get("PATH", os.defpath)])
    sys.stdout.flush()
    os.execv(program, [program, "-m", module, *arguments])


def _pins(venv):
    """The inputs of the environment. Its path is one of them, because an environment cannot be moved."""
    digest = hashlib.sha256(os.path.realpath(venv).encode())
    for name in PINS:
        path = os.path.join(ROOT, name)
        if os.path.exists(path):
            with open(path, "rb") as pins:
                digest.update(pins.read())
    return digest.hexdigest()


def _is_foreign(venv):
    """Whether another program created the environment."""
    return (
        bool(os.environ.get("GPUYARD_VENV"))
        and os.path.exists(os.path.join(venv, "pyvenv.cfg"))
        and not os.path.exists(os.path.join(venv, STAMP))
        and not os.path.exists(os.path.join(venv, STAMP + ".begun"))
    )


def _make(venv):
    begun = time.time()
    log = venv + ".log"
    if not _works(venv):  # new, or incomplete after a kill
        _report(f"making {venv}")
        _venv(venv)
    with contextlib.suppress(OSError):
        os.remove(os.path.join(venv, STAMP))
    open(os.path.join(venv, STAMP + ".begun"), "w").close()
    _report(f"installing the pinned packages (once; usually {USUAL})")
    _pip(venv, log, begun)
    with open(os.path.join(venv, STAMP), "w") as stamp:
        stamp.write(_pins(venv))
    _report(f"ready after {time.time() - begun:.0f} s")


def _works(venv):
    """Whether there is an environment to install into, which the user may have created."""
    check = f"import pip, sys; sys.exit(sys.version_info < {OLDEST})"
    return os.path.exists(python(venv)) and subprocess.call([python(venv), "-c", check], stderr=subprocess.DEVNULL) == 0


def _venv(venv):
    done = subprocess.run(
        [sys.executable, "-m", "venv", "--clear", venv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    if done.returncode:
        output = done.stdout.decode(errors="replace").strip()
        fix = "check the message above and run it again"
        if "ensurepip" in output or "No module named venv" in output:
            version = "{}.{}".format(*sys.version_info[:2])
            fix = (
                f"install the venv module (Debian, Ubuntu: `apt install python{version}-venv`), "
                "or name another Python: `make up PYTHON=...`"
            )
        elif "No space left" in output:
            fix = "free about 2 GB on this disk"
        raise VenvError(f"The Python environment {venv} cannot be made.\n{output[-1500:]}\nFix: {fix}")


def _pip(venv, log, begun):
    # Not compiled in advance: the SDKs have tens of thousands of modules, of which a run imports a few hundred.
    argv = [python(venv), "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--no-compile"]
    argv += ["--progress-bar", "off", "--require-hashes", "-r", os.path.join(ROOT, "requirements-dev.txt")]
    with open(log, "w") as out:
        pip = subprocess.Popen(argv, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd=ROOT)
        try:
            while True:
                try:
                    code = pip.wait(timeout=10)
                    break
                except subprocess.TimeoutExpired:
                    _report(f"{_last(log)} ({time.time() - begun:.0f} s)")
        except BaseException:
            pip.terminate()
            raise
    if code:
        with open(log, errors="replace") as lines:
            output = lines.read()
        end = "\n".join(output.splitlines()[-12:])
        raise VenvError(f"The Python packages cannot be installed.\n{end}\nFix: {_advice(output, log)}")


def _advice(output, log):
    lowered = output.lower()
    network = ("connection", "timed out", "name resolution", "proxy", "ssl", "could not find a version", "max retries")
    if "no space left" in lowered:
        return "free about 2 GB on this disk and run it again"
    if any(word in lowered for word in network):
        return (
            "pip must reach a package index: check the network, HTTPS_PROXY, or set PIP_INDEX_URL to your mirror, "
            "and run it again"
        )
    return f"the whole log is {log}; run it again"


def _last(log):
    """Pip's current step, in a few words."""
    with open(log, errors="replace") as lines:
        words = [line.strip() for line in lines if line.strip().startswith(("Collecting", "Downloading", "Installing"))]
    word = words[-1].partition(" (")[0] if words else "installing"
    return word if len(word) <= 70 else word[:67] + "..."


def _wait_for(lock):
    reported = False
    while True:
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # type: ignore[union-attr]
        except OSError:
            if not reported:
                _report("waiting for another run that creates it")
                reported = True
            time.sleep(0.2)


def _report(line):
    sys.stderr.write(f"python: {line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    if sys.argv[1:2] == ["-m"] and len(sys.argv) > 2:
        run(sys.argv[2], sys.argv[3:])
    try:
        print(ensure())
    except VenvError as failure:
        sys.exit("\n" + str(failure))
