"""`python -m vislearn.cli`."""

from vislearn.cli import main

main()
