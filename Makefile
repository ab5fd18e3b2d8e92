# Every target stands for one script or program; each can be run by itself, from any folder.

PREFIX ?= /usr/local
DESTDIR ?=

.PHONY: help setup build demo test bench continuity cluster chaos chaos-long chaos-mutants simulate simulate-long mutants test-systemd upgrade lint clean install uninstall deb deb-upgrade

help:  ## lists the targets (this text)
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup:  ## installs what is lacking, or says what to install
	@scripts/setup

build:  ## builds the release programs into ./bin
	@scripts/setup build
	@scripts/build

demo: build  ## three servers and a client: a link breaks, the leader is killed; under a minute
	@scripts/setup demo
	@demo/run

test:  ## runs all test suites (the first time with long builds)
	@scripts/setup test
	@scripts/test

test-systemd:  ## tests services, watchdog and upgrades in a genuine systemd (needs root)
	@scripts/setup test
	@scripts/test systemd

upgrade: build  ## upgrades and restarts a server with 5000 streams (needs root for restart)
	@scripts/rehearse-upgrade exec --streams 5000 --who both
	@scripts/rehearse-upgrade restart --streams 5000 --limit 2000

bench: build  ## compares with two HAProxy and with no relay (BENCH="--long ...")
	@scripts/setup bench
	@bench/run $(BENCH)

continuity: build  ## takes servers away under traffic and judges what is noticed (CONTINUITY="--only kill ...")
	@scripts/setup continuity
	@bin/gotunnel-chaos continuity $(CONTINUITY)

cluster: build  ## kills, stops and cuts off servers of a cluster and measures it (CLUSTER="--only leader ...")
	@scripts/setup continuity
	@bin/gotunnel-chaos cluster $(CLUSTER)

chaos: build  ## rehearses failures under an apiserver's traffic, five scenarios in about five minutes
	@scripts/setup chaos
	@scripts/chaos short

chaos-long: build  ## every scenario for two minutes, then everything at once for an hour (needs root for all)
	@scripts/setup chaos
	@scripts/setup test
	@swift build --build-tests
	@scripts/chaos long

chaos-mutants:  ## breaks the programs on purpose: each fault has to be noticed by a scenario
	@scripts/setup chaos
	@scripts/setup test
	@scripts/build
	@swift build --build-tests
	@scripts/chaos mutants

simulate: build  ## runs simulated clusters under faults (SIMULATE="--seeds 300 ...")
	@bin/gotunnel-chaos simulate $(SIMULATE)

simulate-long: build  ## the same for 2000 seeds, and 100 servers for 100 seeds
	@bin/gotunnel-chaos simulate --seeds 2000
	@bin/gotunnel-chaos simulate --seeds 100 --nodes 100 --minutes 1

mutants:  ## puts known faults into the cluster's code: the simulator has to notice each
	@scripts/mutants

lint:  ## checks formatting and syntax
	@scripts/lint

install: build  ## installs programs, units and documentation below PREFIX (/usr/local)
	@DESTDIR="$(DESTDIR)" PREFIX="$(PREFIX)" scripts/install-files install

uninstall:  ## removes what install has installed; configuration and state stay
	@DESTDIR="$(DESTDIR)" PREFIX="$(PREFIX)" scripts/install-files uninstall

deb: build  ## makes a Debian package in ./dist (VERSION=0.1.1)
	@scripts/setup deb
	@VERSION="$(VERSION)" scripts/make-deb

deb-upgrade: build  ## upgrades the package under traffic and a genuine systemd (DEB_UPGRADE="--from OLD.deb ...")
	@scripts/setup deb-upgrade
	@scripts/rehearse-deb-upgrade $(DEB_UPGRADE)

clean:  ## removes everything that was built
	rm -rf .build .build-* Fuzz/.build Fuzz/.build-* bin dist
