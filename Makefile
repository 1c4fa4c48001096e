# make demo     code a real photo and show sizes and quality beside JPEG, WebP and AVIF  (IMAGE=path for your own)
# make test     the whole test suite, in two processes  (WORKERS=4 EXAMPLES=1000, cases of a property test)
# make quick    the tests that take less than a second
# make web      the library for browsers (web/dist) and its page (web/site, for any file server)
# make check    ruff and mypy --strict, tsc --strict and biome
# make fuzz     hostile files for the decoder  (SECONDS=600)
# make bench    speed and memory of coding and training  (tables and a plot in bench-output/speed)
# make cvvdp    an environment of its own for the metric CVVDP, of 1.2 GB, more where torch comes with CUDA
# make results  docs/RESULTS.md and its plot again: rates and qualities  (KODAK=folder of the 24 pictures)
# make speed    docs/SPEED.md again: times, on a machine that is idle  (KODAK=folder)
# make ship     what is measured of a bundle, its golden files and attacks again  (NAME=photo PHOTOS=folder BUNDLE=exported)
PYTHON ?= python3
VENV ?= .venv
CAESURA_CVVDP ?= .cvvdp
BIN = $(VENV)/bin
IMAGE ?=
KODAK ?= kodak
SECONDS ?= 600
WORKERS ?= 2
EXAMPLES ?=
NAME ?= photo
PHOTOS ?= photos
BUNDLE ?=

# Compiled modules are kept, since tests start hundreds of processes.
export PYTHONDONTWRITEBYTECODE =

PYTEST = OMP_NUM_THREADS=1 EXAMPLES=$(EXAMPLES) $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

# The first is what the library encodes with unless told otherwise.
WEB_MODELS = photo photo-psnr cae2017
WEB_SOURCES = $(shell find web/src web/demo src/caesura/models/weights -type f) src/caesura/web.py \
	$(wildcard web/*.*)
NPM = PATH="$(abspath $(BIN)):$$PATH" npm --prefix web

.PHONY: demo test quick web check fuzz bench cvvdp results speed ship clean

demo: $(VENV)/.demo
	$(BIN)/python -m benchmarks.demo $(if $(IMAGE),"$(IMAGE)")

test: $(VENV)/.dev web
	$(PYTEST)

quick: $(VENV)/.dev web
	$(PYTEST) -m "not slow"

web: web/site/files.json

check: $(VENV)/.dev web/node_modules/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(NPM) run --silent check

fuzz: $(VENV)/.dev
	$(BIN)/python fuzz/fuzz_decode.py --seconds $(SECONDS)

bench: $(VENV)/.dev
	$(BIN)/python -m caesura.bench.speed
	$(BIN)/python -m benchmarks.training

cvvdp: $(CAESURA_CVVDP)/.built

results: $(VENV)/.dev $(CAESURA_CVVDP)/.built
	CAESURA_CVVDP=$(CAESURA_CVVDP) $(BIN)/python -m benchmarks.results $(KODAK)

speed: $(VENV)/.dev
	$(BIN)/python -m benchmarks.times $(KODAK)

ship: SHIPPED = src/caesura/models/weights/$(NAME)
ship: export PYTHONPATH = src
ship: $(VENV)/.dev
	$(if $(BUNDLE),rm -rf $(SHIPPED) && cp -r $(BUNDLE) $(SHIPPED))
	$(BIN)/python -m caesura.train.preview $(SHIPPED) $(PHOTOS)
	$(BIN)/python -m caesura.train.quality_scale $(SHIPPED) $(PHOTOS)
	$(BIN)/python -m caesura.train.forecast $(SHIPPED) $(PHOTOS)
	$(BIN)/python tests/golden/make.py $(NAME)
	$(BIN)/python attacks/make.py

# Old pips take minutes to find versions that fit together, of the extra [dev] above all.
$(BIN)/python:
	$(PYTHON) -m venv --upgrade-deps $(VENV)

$(VENV)/.demo: pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --editable . "scikit-image>=0.24"
	touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --editable ".[dev]"
	touch $@ $(VENV)/.demo

web/site/files.json: web/node_modules/.installed $(WEB_SOURCES)
	rm -rf web/dist web/site
	for model in $(WEB_MODELS); do $(BIN)/caesura export --web $$model web/dist/models || exit; done
	$(BIN)/python web/examples.py web/site/examples
	$(NPM) run --silent build

# Node and npm are in the extra [dev].
web/node_modules/.installed: web/package-lock.json | $(VENV)/.dev
	$(NPM) ci --silent
	touch $@

# Without dependencies, since torchvision's own would replace a CPU build of torch: see cvvdp_worker.py. Of what
# cvvdp asks for, ffmpeg, matplotlib and PyEXR are left out: they are for videos, plots and EXR files.
$(CAESURA_CVVDP)/.built: Makefile
	$(PYTHON) -m venv --upgrade-deps $(CAESURA_CVVDP)
	$(CAESURA_CVVDP)/bin/pip install --quiet torch==2.13.0 einops ffmpeg-python huggingface_hub imageio numpy pillow scipy tqdm
	$(CAESURA_CVVDP)/bin/pip install --quiet --no-deps cvvdp==0.5.7 torchvision==0.28.0
	touch $@

clean:
	rm -rf $(VENV) .cvvdp demo-output bench-output build dist web/node_modules web/dist web/site
