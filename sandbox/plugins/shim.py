"""The ambient plugin that the engine starts: requests a provider from the host and runs as long as it is used.

Runs as a script (`shim.py PACKAGE RUN_FOLDER …`) with `python -S -E`, so it uses only the standard library and nothing
of gpuyard. The engine starts one for each provider of the program, so it must start within milliseconds and must not
import a provider. Prints the port of the provider; when the engine kills the shim, the host stops the provider.
"""

import json
import os
import signal
import socket
import sys


def main() -> int:
    package, folder = sys.argv[1], sys.argv[2]
    connection = socket.socket(socket.AF_UNIX)
    working_directory = os.getcwd()
    try:
        # By a relative name, because the path of a unix socket has a limit of 107 bytes.
        os.chdir(folder)
        connection.connect("host.sock")
    except OSError:
        print("the sandbox is not running: run `make up`", file=sys.stderr)
        return 1
    os.chdir(working_directory)
    stream = connection.makefile("rw")
    stream.write(json.dumps({"package": package, "folder": working_directory}) + "\n")
    stream.flush()
    reply = json.loads(stream.readline() or '{"error": "the provider host stopped; `make status` shows its log"}')
    if "error" in reply:
        print(reply["error"], file=sys.stderr)
        return 1
    print(reply["port"], flush=True)
    stream.read()
    print("the provider host stopped: run `make up`", file=sys.stderr)
    return 1


if __name__ == "__main__":
    # The engine stops a plugin with SIGINT (and waits 5 s). A user's Ctrl-C does not arrive here, because the engine
    # starts its plugins in a separate process group.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(main())
