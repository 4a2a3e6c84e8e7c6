"""`python -m testbed` is the command `testbed`."""

from testbed.console.cli import main

if __name__ == "__main__":
    main(prog_name="testbed")
