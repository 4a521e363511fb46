SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory

# Where rustup installs when a shell has not been told yet.
export PATH := $(PATH):$(HOME)/.cargo/bin

AMRUTAM_DEV_DIR ?= .dev
# Always the whole workspace: building one package alone chooses other features and compiles the dependencies again.
# Who names a directory of binaries has built them.
ifndef AMRUTAM_BIN_DIR
AMRUTAM_BIN_DIR := $(or $(CARGO_TARGET_DIR),target)/release
BUILD_RELEASE := cargo build --release --workspace --bins && infra/dev/no-crash-points
else
BUILD_RELEASE := @echo "using the binaries in $(AMRUTAM_BIN_DIR)"
endif
export AMRUTAM_DEV_DIR AMRUTAM_BIN_DIR

SERVERS_ENV := set -a; eval "$$(infra/dev/servers env)"; set +a
# What a run of the tests leaves is tidied up by a process that outlives it and holds the run's journal.
TESTS_TIDIED := for journal in "$(AMRUTAM_DEV_DIR)"/tests/*; do flock -w 60 9 9<"$$journal"; done 2>/dev/null || true
STACK_ENV := set -a; source "$(AMRUTAM_DEV_DIR)/stack.env"; set +a

.PHONY: help run stop walkthrough test lint fmt docs openapi migrate bench race clean toolchain packages build-packages

help: ## Show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | awk -F'\t' '{ printf "  make %-12s %s\n", $$1, $$2 }'

run: toolchain packages ## Build and start everything on this machine, fill in demo data, show what to try
	$(BUILD_RELEASE)
	infra/dev/stack up

stop: ## Stop everything that run, test or bench started
	@$(TESTS_TIDIED)
	@infra/dev/stack down
	@for ports in "$(AMRUTAM_DEV_DIR)"/*/ports.env; do \
	  if [[ -f $$ports ]]; then infra/dev/stack down --dir "$${ports%/ports.env}"; fi; \
	done

walkthrough: ## Show again what to try
	@infra/dev/walkthrough

test: toolchain packages ## Run all tests, on real servers, in databases and queues made for them
	infra/dev/servers up
	cargo build --workspace --bins
	@$(SERVERS_ENV); status=0; (set -x; cargo test --workspace) || status=$$?; $(TESTS_TIDIED); exit $$status

lint: toolchain build-packages ## Check with clippy; a warning is an error
	cargo clippy --workspace --all-targets -- -D warnings

fmt: toolchain ## Check the formatting
	cargo fmt --all -- --check

docs: toolchain build-packages ## Build the code's documentation; a warning is an error
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

openapi: toolchain build-packages ## Write docs/openapi.json from the code
	$(BUILD_RELEASE)
	@mkdir -p docs
	"$(AMRUTAM_BIN_DIR)/amrutam-api" --print-openapi > docs/openapi.json.new
	@mv docs/openapi.json.new docs/openapi.json

migrate: toolchain packages ## Bring the development database's schema up to date
	$(BUILD_RELEASE)
	infra/dev/servers up
	@$(SERVERS_ENV); AMRUTAM__DATABASE__ADMIN_URL="$$ADMIN_DATABASE_URL" AMRUTAM__DATABASE__URL="$$DATABASE_URL" \
	  AMRUTAM__ENVIRONMENT=development "$(AMRUTAM_BIN_DIR)/amrutamctl" migrate

bench: toolchain packages ## Measure sealing, and bookings against the running stack
	$(BUILD_RELEASE)
	infra/dev/stack up --quiet --payments none
	@$(STACK_ENV); set -x; "$(AMRUTAM_BIN_DIR)/amrutam-bench" seal; "$(AMRUTAM_BIN_DIR)/amrutam-bench" booking

race: toolchain packages ## Let many clients fight for the same slots, and check that each has one winner
	$(BUILD_RELEASE)
	infra/dev/stack up --quiet --payments none
	@$(STACK_ENV); set -x; "$(AMRUTAM_BIN_DIR)/amrutam-bench" race

clean: stop ## Stop everything, then delete what was built and the development data
	@for ports in "$(AMRUTAM_DEV_DIR)"/*/ports.env "$(AMRUTAM_DEV_DIR)/ports.env"; do \
	  if [[ -f $$ports ]]; then infra/dev/servers down --clean --dir "$${ports%/ports.env}"; fi; \
	done
	@# Only what is ours: the directory may be anybody's.
	if [[ -d "$(AMRUTAM_DEV_DIR)" ]]; then \
	  cd "$(AMRUTAM_DEV_DIR)"; rm -rf keys keys.new run log tests demo.env stack.env stack-ports.env stack.lock; \
	  rmdir --ignore-fail-on-non-empty "$$PWD"; \
	fi
	if command -v cargo >/dev/null; then cargo clean; fi

toolchain:
	@command -v cargo >/dev/null || { \
	  echo "cargo is missing. Install Rust with rustup, as rust-lang.org/tools/install describes, and open a new shell;" >&2; \
	  echo "rust-toolchain.toml then selects the version by itself." >&2; exit 1; }

packages:
	@infra/dev/servers install

build-packages:
	@infra/dev/servers install build
