.DEFAULT_GOAL := help
.PHONY: help test lint types floors format constraints examples

help:         ## list these targets
	@grep -E '^[a-z]+: .*##' $(MAKEFILE_LIST) | sed 's/: *##/\t/' | expand -t 14

test:         ## all tests, two at a time
	pytest

lint:         ## ruff's rules and its format, changing nothing
	ruff check
	ruff format --check

types:        ## pyrefly
	pyrefly check

floors:       ## imports go down only
	lint-imports

format:       ## let ruff mend and format
	ruff check --fix
	ruff format

constraints:  ## pin every package by version and hash (needs uv)
	uv pip compile --generate-hashes --all-extras pyproject.toml -o constraints.txt --no-header --no-emit-index-url

examples:     ## train both examples
	mlwright run examples/churn
	mlwright run examples/house_price
