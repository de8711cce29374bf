# Thin on purpose: what each target does lives in xtask/ (see `cargo xtask`), so that it is tested code, not shell.

.DEFAULT_GOAL := help
.PHONY: demo test soak lint fmt bench clean-data help

DEMO_OUT ?= demo/out
BENCH ?= all

demo: ## Build, then run one whole agent job: no key, no network to a model. The files land in demo/out
	cargo build --release --locked
	./target/release/stead run "$$(cat demo/task.txt)" --file demo/sales.csv --out "$(DEMO_OUT)"

test: ## Everything, at bounded counts: format, lints, tidy, tests, official SDKs, the demo's job
	cargo xtask ci

soak: ## The tests again, at their full counts (hours, not minutes)
	cargo xtask soak

lint: ## Clippy with warnings as errors, and the house's own checks
	cargo xtask lint
	cargo xtask tidy

fmt: ## Format the Rust code
	cargo xtask fmt

bench: ## What README's figures come from. One of them: make bench BENCH="latency --quick"
	cargo xtask bench $(BENCH)

clean-data: ## Delete what a server started here has stored (.stead) and the demo's output
	rm -rf .stead demo/out

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
