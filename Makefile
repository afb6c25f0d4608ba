# Thin: what happens is in scripts/ and in the binary.

.DEFAULT_GOAL := help
.PHONY: run test build bench crash fmt lint clean help

run: ## set up what is missing, build, and run a host on 127.0.0.1:7300
	@scripts/run

test: ## set up what is missing, build, lint, and run all tests
	@scripts/test

build: ## build target/release/mandate and target/plugins/
	@scripts/build

crash: ## kill the host at every named point and compare what is left; POINT=… takes one
	@scripts/crash $(POINT)

bench: ## measure against floors and print a table; NAME=… runs one
	@scripts/bench $(NAME)

fmt: ## format the sources
	@scripts/fmt

lint: ## check format and lints
	@scripts/lint

clean: ## remove what was built; the data stays
	@scripts/clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1 — \2/p' $(MAKEFILE_LIST) | sed 's/ — /\t/' | expand -t 14
