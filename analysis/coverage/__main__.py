"""The command."""

from analysis.coverage.report import main

if __name__ == "__main__":
    main()
