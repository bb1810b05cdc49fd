"""Several `chancery` commands in one process, one after another; how each ended and what it said, as JSON.

A process of its own for each would start for longer than it works.
"""

import json
import sys

from click.testing import CliRunner

from cli.main import chancery


def main() -> None:
    runner, ended = CliRunner(), []
    for words in json.loads(sys.argv[1]):
        result = runner.invoke(chancery, words)
        raised = result.exception
        said = "" if raised is None or isinstance(raised, SystemExit) else repr(raised)
        ended.append((result.exit_code, result.output + said))
    sys.stdout.write(json.dumps(ended))


if __name__ == "__main__":
    main()
