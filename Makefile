# Every target stands for one script or program; each can be run by itself, from any folder.

PREFIX ?= /usr/local
DESTDIR ?=

.PHONY: help setup build demo test bench continuity lint clean install

help:  ## lists the targets (this text)
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup:  ## installs what is lacking, or says what to install
	@scripts/setup

build:  ## builds the release programs into ./bin
	@scripts/setup build
	@scripts/build

demo: build  ## shows a tunnel whose link breaks under load, in under a minute
	@scripts/setup demo
	@demo/run

test:  ## runs all test suites (the first time with long builds)
	@scripts/setup test
	@scripts/test

bench: build  ## compares with two HAProxy and with no relay (BENCH="--long ...")
	@scripts/setup bench
	@bench/run $(BENCH)

continuity: build  ## takes servers away under traffic and judges what is noticed (CONTINUITY="--only kill ...")
	@scripts/setup continuity
	@bin/gotunnel-chaos continuity $(CONTINUITY)

lint:  ## checks formatting and syntax
	@scripts/lint

install: build  ## installs the programs below PREFIX (/usr/local)
	install -d "$(DESTDIR)$(PREFIX)/bin"
	install -m 0755 bin/* "$(DESTDIR)$(PREFIX)/bin/"

clean:  ## removes everything that was built
	rm -rf .build .build-* Fuzz/.build Fuzz/.build-* bin
