"""`python -m fintune`: the command line."""

from fintune.cli import main

main()
