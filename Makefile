# Meydan: two commands. `make up` builds and runs everything, `make test` runs every test.

SHELL := bash
.DEFAULT_GOAL := help
.PHONY: help up test

help:
	@echo 'make up     build and run everything on this computer, with demo data in ./meydan-data'
	@echo 'make test   run every test'

up:
	@exec scripts/up.sh

test:
	@exec scripts/test.sh
