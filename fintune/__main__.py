"""`python -m fintune`: the command line."""

from fintune.cli.app import main

main()
