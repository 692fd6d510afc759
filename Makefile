# `make help` lists the targets. `make demo` and `make test` do everything on a fresh Debian 12 as root.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTEST := .venv/bin/python -m pytest
PACKAGES := libs/contracts/veg_contracts libs/runtime/veg_runtime services/watcher/veg_watcher services/planner/veg_planner \
  services/ovn-writer/veg_ovn_writer services/kube-writer/veg_kube_writer services/bus-auth/veg_bus_auth services/gw-agent/veg_gw_agent services/gw-agent/veg_bfdd \
  cli/vegctl lab/veg_lab

.PHONY: help setup demo demo-down check unit helm-lint functional e2e compose test images bench-failover bench-drain soak clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Make .venv with everything that checks, tests, lab and services need
	@scripts/setup

demo: setup ## Start the lab and the services, run the document's first example, show what came of it
	@lab/demo

demo-down: setup ## End the demo: no process, namespace, interface or mount is left
	@lab/lab down

check: setup ## Lint, types, layering
	@echo "== ruff"
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@echo "== mypy (strict)"
	@.venv/bin/mypy $(PACKAGES) tests bench
	@echo "== import-linter"
	@.venv/bin/lint-imports

unit: setup ## Pure tests, in seconds
	@$(PYTEST) tests/unit

helm-lint: setup ## The chart: lint, every set of values, wrong values, and the gate over its pods (30 s)
	@scripts/helm lint --strict charts/vpc-egress-gateway
	@$(PYTEST) tests/chart

functional: setup ## Each service against a real Postgres, NATS, ovsdb-server, API server, three tests at a time
	@lab/lab assets
	@$(PYTEST) tests/functional -n 3 --dist loadgroup -m "not timed"
	@$(PYTEST) tests/functional -n 2 -m timed

e2e: setup ## The whole system in two labs, with real packets (about 20 min, plus 8 when Kubernetes and images are to be built)
	@lab/lab assets
	@$(PYTEST) tests/e2e -n 2 --dist loadfile -m "not timed"
	@$(PYTEST) tests/e2e -m timed

compose: setup ## docker-compose.yml as it stands, beside a lab (3 min, plus 7 when images and Compose are to be built)
	@lab/lab assets
	@$(PYTEST) -s tests/compose

test: unit helm-lint functional e2e compose ## Every test

images: setup ## Build all images into the cache (4 min, seconds when little has changed) and look at what is in them
	@scripts/images
	@$(PYTEST) tests/images

bench-failover: setup ## How long traffic is out when a gateway pod fails: 25 times in each way (about 30 min), into bench/results
	@lab/lab assets
	@.venv/bin/python bench/failover.py

soak: setup ## 8 gateways at the default timers, 8 at 100 ms x 3, all cores busy: no false failover in 30 min, into bench/results
	@lab/lab assets
	@.venv/bin/python bench/soak.py

bench-drain: setup ## What 32 clients lose when gateway pods are scaled down, rolled out or evicted: a part of e2e (3 min)
	@lab/lab assets
	@$(PYTEST) -s tests/e2e/test_drain.py

clean: ## Remove what was made in this folder (not the cache of long builds)
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
