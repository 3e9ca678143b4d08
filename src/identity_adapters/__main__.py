"""Starts the command line, or says which package is missing."""

import sys


def main() -> None:
    try:
        from identity_adapters.cli import main as command_line

        command_line(prog_name="identity")
    except ModuleNotFoundError as error:  # commands import their packages when they run
        sys.exit(
            f"identity: {error.name} is not installed; the command line needs"
            " pip install 'identity-reconciliation[embedded]'"
        )


if __name__ == "__main__":
    main()
