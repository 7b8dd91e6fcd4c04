# The commands of a fresh machine. `make demo` and `make test` install what is missing (as root, from the distribution's packages),
# build, and run. Everything is built once, in release mode: what is tested is what ships.
#
# Targets: demo test soak churn bench bench-peers bench-train bench-detectors bench-sequences bench-relations bench-sql eval-live eval-trouble eval-quiet eval-diff eval-relations build recorder dist install-deps python clean

CARGO ?= cargo
export CARGO_TARGET_DIR ?= $(CURDIR)/target
BIN := $(CARGO_TARGET_DIR)/release
VENV := $(CARGO_TARGET_DIR)/python

.PHONY: help build recorder dist demo test lint doc unit python soak churn bench bench-peers bench-train bench-detectors bench-sequences bench-relations bench-sql eval-live eval-trouble eval-quiet eval-diff eval-relations install-deps clean

help:
	@sed -n 's/^# \{0,1\}//p' Makefile | head -4
	@echo 'sudo make demo   record a real service while it misbehaves, find out why, write demo/report/'
	@echo 'sudo make test   everything CI runs, training on a GPU included, in software where there is none'
	@echo 'sudo make bench  what recording costs, as ratios'
	@echo 'sudo make bench-peers   redis and nginx, watched by osd and by the tools it competes with; then training beside PyTorch'
	@echo 'make recorder    the recorder alone: one small static binary for production hosts'
	@echo 'sudo make dist   tarballs and Debian packages of osd and of the recorder, with their licences'

build: install-deps
	scripts/cargo-build.sh $(CARGO) build --release --workspace

# The recorder alone, for hosts where nothing else shall be installed: static, so it runs on any distribution and in an empty chroot.
# A target of its own (`--target`), because the flag for static linking must not reach build scripts and macros; the target folder of the
# main build is not disturbed. libelf.a and libz.a come with the development packages. Packed relocations are a tenth of the plain ones;
# without the `cfg`, a static program looks for /dev/urandom.
HOST := $(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p')
RECORDER := $(CARGO_TARGET_DIR)/$(HOST)/recorder/osd
RECORDER_FLAGS := -C target-feature=+crt-static --cfg getrandom_backend="linux_getrandom" \
	-C link-arg=-Wl,-z,pack-relative-relocs -C link-arg=-Wl,-T,$(CURDIR)/scripts/recorder.ld
recorder: install-deps
	RUSTFLAGS='$(RECORDER_FLAGS)' \
		LIBBPF_SYS_LIBRARY_PATH="$$(dirname "$$(realpath "$$(cc -print-file-name=libelf.a)")")" \
		$(CARGO) build --profile recorder --target $(HOST) -p osd --no-default-features --features record,static
	scripts/check-recorder.sh $(RECORDER)

# What is given to others: tarballs and Debian packages of osd and of the recorder, tried in an empty root.
DIST := $(CARGO_TARGET_DIR)/dist
dist: build recorder
	scripts/dist.sh $(BIN)/osd $(RECORDER) $(DIST)
	scripts/check-dist.sh $(DIST)

demo: build
	OSD=$(BIN)/osd OSD_WORKLOAD=$(BIN)/osd-workload demo/run.sh

# The recorder last: it is built as it ships, and tried in an empty chroot.
test: install-deps lint doc python unit recorder

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --release --workspace --all-targets -- -D warnings

doc:
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --release --workspace --no-deps

unit:
	OSD_PYTHON=$(VENV)/bin/python OSD_WORKLOAD=$(BIN)/osd-workload $(CARGO) test --release --workspace

# DuckDB and pandas, to show that a recording needs no osd to be read, and the libraries of the formats that osd exports. Not packaged by
# Debian, so in an environment of their own.
python: $(VENV)/.done
$(VENV)/.done: Makefile
	python3 -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check 'duckdb>=1.1' 'pandas>=2.2' 'pyarrow>=17' \
		'prometheus-client>=0.21' 'perfetto>=0.50' 'opentelemetry-proto>=1.30' 'polars>=1' 'matplotlib>=3.8'
	touch $@

bench: install-deps
	$(CARGO) bench -p osd-record --bench cost

# ARGS='--quick' tries it, ARGS='--only osd,perf' shows some, OSD=path measures another osd: see record/benches/peers/main.rs.
OSD ?= $(BIN)/osd
bench-peers: install-deps
	scripts/install-peers.sh
	$(if $(filter $(BIN)/osd,$(OSD)),$(CARGO) build --release -p osd)
	OSD=$(OSD) $(CARGO) bench -p osd-record --bench peers -- $(ARGS)
	$(MAKE) bench-train

# How good a trained model is on live recordings; see the script for what can be set.
eval-live: build
	OSD=$(BIN)/osd OSD_WORKLOAD=$(BIN)/osd-workload scripts/eval-live.sh

# Distances, linkage and medoids of 5 000 sequences of 128, and the same distances by the textbook's table.
bench-sequences: install-deps
	$(CARGO) bench -p osd-detect --bench sequences

# How often two runs of the same are called different; see the script.
eval-diff: build
	OSD=$(BIN)/osd OSD_WORKLOAD=$(BIN)/osd-workload scripts/eval-diff.sh

# How well `osd relations` finds attacks of three strengths, and how soon it is over; see the script for what can be set.
eval-relations: build
	OSD=$(BIN)/osd OSD_WORKLOAD=$(BIN)/osd-workload scripts/eval-relations.py

# Relations of 40 metrics on 16 hosts over a week of minutes: how long, in how much memory.
bench-relations: install-deps
	$(CARGO) test --release --workspace --test scale --no-run
	/usr/bin/time -v $(CARGO) test --release --workspace --test scale -- --ignored --nocapture

# Ten questions of forensics, asked by `osd sql` and by DuckDB of one recording of some thirty million calls, which is made once. ARGS=9: rounds.
bench-sql: build python
	$(VENV)/bin/python scripts/bench-sql.py $(BIN)/osd $(CARGO_TARGET_DIR)/bench-sql $(ARGS)

# How good `osd analyze` is at leaks, stalls, slow dependencies and missed jobs; see the script for what can be set.
eval-trouble: build
	OSD=$(BIN)/osd OSD_WORKLOAD=$(BIN)/osd-workload scripts/eval-trouble.sh

# How often it finds something where nothing happens: three hours of servers and workloads at rest, in 36 minutes.
eval-quiet: build
	OSD=$(BIN)/osd OSD_WORKLOAD=$(BIN)/osd-workload scripts/eval-quiet.sh

# Training and scoring side by side with PyTorch, which is no dependency of anything: where it cannot be installed its lines say SKIPPED.
TORCH := $(CARGO_TARGET_DIR)/torch
bench-train: install-deps
	test -x $(TORCH)/bin/python || python3 -m venv $(TORCH)
	$(TORCH)/bin/python -c 'import torch' 2>/dev/null || $(TORCH)/bin/pip install --quiet --disable-pip-version-check torch \
		|| echo 'PyTorch cannot be installed here' >&2
	OSD_TORCH=$(TORCH)/bin/python $(CARGO) bench -p osd-train --bench speed

# The family of outlier detectors side by side with PyOD, both on one processor. ARGS='knn lof' shows some.
PYOD := $(CARGO_TARGET_DIR)/pyod
bench-detectors: install-deps
	test -x $(PYOD)/bin/python || python3 -m venv $(PYOD)
	$(PYOD)/bin/python -c 'import combo, pyod' 2>/dev/null \
		|| { $(PYOD)/bin/pip install --quiet --disable-pip-version-check pyod==3.6.7 && \
			$(PYOD)/bin/pip install --quiet --disable-pip-version-check --no-deps combo; } \
		|| echo 'PyOD cannot be installed here' >&2
	$(CARGO) bench -p osd-detect --bench detectors --no-run
	OSD_PYOD=$(PYOD)/bin/python OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 NUMBA_NUM_THREADS=1 \
		taskset -c 0 $(CARGO) bench -p osd-detect --bench detectors -- $(ARGS)

# Minutes to an hour: what the tests do a few times, done until it would show.
soak: install-deps
	OSD_PYTHON=$(VENV)/bin/python OSD_WORKLOAD=$(BIN)/osd-workload $(CARGO) test --release --workspace -- --ignored --nocapture

# Does the recorder's memory stay flat: MINUTES=60 PROCESSES=100000.
churn: build
	OSD=$(BIN)/osd scripts/churn.sh

install-deps:
	scripts/install-deps.sh

clean:
	rm -rf demo/run demo/report
	$(CARGO) clean
