"""The ambient plugin that the engine launches: asks the provider host for an instance and lives as long as it does.

Run as a script (`shim.py PACKAGE RUN_FOLDER …`) by `python -S -E`, so: standard library only, nothing of gpuyard. The
engine starts one for each provider of the program, which is why it has to start in some milliseconds and must not
import a provider itself. Prints the port of the instance; when the engine kills it, the host ends the instance.
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
        # By a relative name, because the path of a unix socket may have 107 bytes only.
        os.chdir(folder)
        connection.connect("host.sock")
    except OSError:
        print("the sandbox is not running: make up", file=sys.stderr)
        return 1
    os.chdir(working_directory)
    stream = connection.makefile("rw")
    stream.write(json.dumps({"package": package, "folder": working_directory}) + "\n")
    stream.flush()
    reply = json.loads(stream.readline() or '{"error": "the provider host went away; see its log: make status"}')
    if "error" in reply:
        print(reply["error"], file=sys.stderr)
        return 1
    print(reply["port"], flush=True)
    stream.read()
    print("the provider host went away: make up", file=sys.stderr)
    return 1


if __name__ == "__main__":
    # SIGINT is how the engine ends a plugin that it is done with (it waits 5 s for it); a person's Ctrl-C does not come
    # here, because the engine starts its plugins in a separate process group.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(main())
