# make demo    a search over real product photos: install, index, one answered query, then the search page
# make test    install and run all tests          make quick    those without training, browser or server
# make lint    format, lint, types, layers, page  make install  the environment alone
# make clients install what tests/e2e asks the model server by, in an environment of its own
# make test-kubernetes   those of tests/e2e that need a cluster
# make kubernetes  build Kubernetes for tests/e2e, in the cache directory; without Go it says that they will be skipped
# make kubernetes-addons   Kueue, Traefik and Argo for them, too, which takes half an hour
# make bench   all benchmarks, to docs/benchmarks/, whose README says how long each takes; BENCH='ann query' names some,
#              ITEMS=30000000 makes a whole shard: 50 GB of disk

PHOTOS ?= 10000
SERVE ?= 1
DIR ?= build/demo
PORT ?= 8080
ITEMS ?= 5000000
BENCH ?= registry local_platform cluster_objects canary rollouts flags experiments embedder_experiment deltas duplicates model_server ingest structured train dsd predictor ann_milvus ann cold photo_service query \
	nas_rank shard qat select_engine kills compress nas_devices nas_cost
JOBS ?= 2
PYTHON ?= python3

BIN := .venv/bin
INDEX := $(DIR)/shop.index
SOURCES := pyproject.toml build_kernel.py $(shell find src -name '*.cpp' -o -name '*.h')
STARTED := $(shell date +%s)

ifneq ($(shell uv --version 2>/dev/null),)
VENV := uv venv --quiet --allow-existing --python '>=3.11' .venv
INSTALL := uv pip install --quiet --python .venv
else
VENV := $(PYTHON) -m venv .venv && $(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
INSTALL := $(BIN)/python -m pip install --quiet
endif

.PHONY: demo test quick lint bench clients kubernetes kubernetes-addons test-kubernetes install clean

demo: install
	@$(BIN)/python -m examples.fashion_mnist $(DIR) --photos $(PHOTOS) >/dev/null
	$(BIN)/lykeion index add $(DIR)/fashion-mnist.csv --index $(INDEX)
	$(BIN)/lykeion index query $(DIR)/query.png --index $(INDEX) -k 13 --sheet $(DIR)/answers.png
	@echo
	@echo "First answer after $$(( $$(date +%s) - $(STARTED) )) s. Its picture: $(DIR)/answers.png"
	@echo
	@echo "For your own photos:"
	@echo "  $(BIN)/lykeion index add ./photos --index my.index"
	@echo "  $(BIN)/lykeion index query photo.jpg --index my.index --sheet answers.png"
	@echo "  $(BIN)/lykeion serve --index my.index"
ifneq ($(SERVE),0)
	@echo
	@echo "The search page is on http://localhost:$(PORT) (Ctrl-C stops it)."
	@$(BIN)/lykeion serve --index $(INDEX) --port $(PORT)
endif

test: .venv/developer clients
	$(BIN)/python tests/run.py --jobs $(JOBS)

test-kubernetes: .venv/developer kubernetes
	$(BIN)/python tests/run.py --kubernetes

quick: .venv/developer
	$(BIN)/python tests/run.py --jobs $(JOBS) --quick

lint: .venv/developer
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports
ifneq ($(shell npm --version 2>/dev/null),)
	npm --prefix web ci --silent --no-audit --no-fund
	npm --prefix web run --silent check
endif

bench: .venv/developer
	$(INSTALL) --group bench
	@failed=; for name in $(BENCH); do \
		echo "== $$name"; \
		$(BIN)/python benchmarks/$$name.py $$([ $$name != shard ] || echo --items $(ITEMS)) || failed="$$failed $$name"; \
	done; [ -z "$$failed" ] || { echo "failed:$$failed"; exit 1; }

clients: build/clients/made

build/clients/made: .venv/developer
	$(BIN)/python -m venv build/clients
	build/clients/bin/python -m pip install --quiet 'tritonclient[http]>=2.73' 'kserve>=0.21'
	@touch $@

kubernetes: .venv/developer
	$(BIN)/python -m tests.e2e.control_plane.tools

kubernetes-addons: .venv/developer
	$(BIN)/python -m tests.e2e.control_plane.tools traefik kueue workflow-controller argoexec

install: .venv/user

.venv/user: $(SOURCES)
	$(VENV)
	$(INSTALL) --editable '.[search]'
	@touch $@

.venv/developer: $(SOURCES)
	$(VENV)
	$(INSTALL) --editable '.[all]' --group dev
	@touch $@ .venv/user

clean:
	rm -rf .venv dist build
