# The tests: included by ../Makefile. tests/README.md says what each is.

UNIT = $(patsubst tests/unit/%.c,$(OUT)/unit/%,$(wildcard tests/unit/test_*.c))
FUZZ = $(patsubst tests/fuzz/%.c,$(OUT)/%,$(wildcard tests/fuzz/fuzz_*.c))
-include $(UNIT:=.d) $(FUZZ:=.d) $(OUT)/fidelity/conninfo.d \
	$(OUT)/bench/path.d $(OUT)/bench/reader.d

ifdef PG
export WALSTREAM_PG_BINDIR := $(shell tests/tools/pg-version $(PG))
$(if $(WALSTREAM_PG_BINDIR),,$(error no PostgreSQL $(PG)))
endif

check:
	@tests/tools/deps check
	@$(MAKE) --no-print-directory all layers unit docs integration \
		fidelity dose

layers:
	@tests/tools/layers

unit: $(UNIT)
	@for t in $(UNIT); do echo "== $$t"; $$t || exit 1; done

$(OUT)/unit/%: tests/unit/%.c $(PARTS)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -Itests/unit -MMD -MP $(ALL_LDFLAGS) -o $@ $< \
		$(PARTS) $(LIBS) -lcmocka

# Four at a time, each with a PostgreSQL of its own: they mostly wait.
INTEGRATION = $(PYTHON) -m pytest -q -n 4 tests/integration $(PYTEST_ARGS)
integration: $(OUT)/walstream
	WALSTREAM=$(OUT)/walstream WALSTREAM_SANITIZE=$(SANITIZE) \
		$(INTEGRATION)

# The manual pages and --help say the same, and their examples work.
docs: $(OUT)/walstream
	WALSTREAM=$(OUT)/walstream WALSTREAM_SANITIZE=$(SANITIZE) \
		$(PYTHON) -m pytest -q tests/docs $(PYTEST_ARGS)

# What README.md tells people to type, and make install.
check-readme:
	@tests/tools/deps readme
	@$(MAKE) --no-print-directory all
	WALSTREAM=$(OUT)/walstream $(PYTHON) -m pytest -q tests/readme \
		$(PYTEST_ARGS)

# The status page, in Chromium; pictures of it in build/page.
check-page:
	@tests/tools/deps page
	@$(MAKE) --no-print-directory all
	WALSTREAM=$(OUT)/walstream WALSTREAM_SANITIZE=$(SANITIZE) \
		$(PYTHON) -m pytest -q tests/page $(PYTEST_ARGS)

# The static programs.
check-static: static
	@tests/tools/deps check-static
	@$(MAKE) --no-print-directory static ARCH=arm64
	$(PYTHON) -m pytest -q tests/static $(PYTEST_ARGS)

# The whole integration suite, by the static program in an empty chroot.
check-chroot: static
	@tests/tools/deps check-static
	WALSTREAM=tests/static/in-chroot $(INTEGRATION)

# The container image, without a container engine.
check-image:
	@tests/tools/deps image
	$(PYTHON) -m pytest -q tests/image $(PYTEST_ARGS)

# Every example is built, run and killed.
check-examples:
	@tests/tools/deps examples
	@$(MAKE) --no-print-directory all
	WALSTREAM=$(OUT)/walstream $(PYTHON) -m pytest -q tests/examples \
		$(PYTEST_ARGS)

# HTTP/2 as h2spec wants it, in the clear and over TLS.
check-h2spec:
	@tests/tools/deps check
	@tests/tools/go-tools h2spec
	@$(MAKE) --no-print-directory all
	WALSTREAM=$(OUT)/walstream WALSTREAM_SANITIZE=$(SANITIZE) \
		$(PYTHON) -m pytest -q tests/h2spec $(PYTEST_ARGS)

# The official gRPC stacks, grpcurl and grpc-health-probe.
check-stacks:
	@tests/tools/deps stacks
	@$(PYTHON) tests/stacks/build.py
	@$(MAKE) --no-print-directory all
	WALSTREAM=$(OUT)/walstream WALSTREAM_SANITIZE=$(SANITIZE) \
		$(PYTHON) -m pytest -q -n 4 tests/stacks $(PYTEST_ARGS)

# Payloads against row_to_json, for every type there is; connection strings
# against libpq.
fidelity: $(OUT)/walstream $(OUT)/fidelity/conninfo
	WALSTREAM=$(OUT)/walstream WALSTREAM_SANITIZE=$(SANITIZE) \
		WALSTREAM_SEED=$(SEED) \
		$(PYTHON) -m pytest -q tests/fidelity $(PYTEST_ARGS)

$(OUT)/fidelity/%: tests/fidelity/%.c $(PARTS)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP $(ALL_LDFLAGS) -o $@ $< $(PARTS) $(LIBS)

VERSIONS = 14 15 16 17 18
check-versions:
	@tests/tools/deps check
	@bad=; for v in $(VERSIONS); do \
		$(MAKE) --no-print-directory fidelity PG=$$v || bad="$$bad $$v"; \
	done; [ -z "$$bad" ] || { echo "failed: PostgreSQL$$bad"; exit 1; }

# Faults under load, judged by the oracle; a seed repeats a run. The dose is
# what make check takes of it.
FAULTS = 100
SEED = 1
torture: $(OUT)/walstream
	WALSTREAM_SANITIZE=$(SANITIZE) $(PYTHON) tests/oracle/torture.py \
		--walstream $(OUT)/walstream \
		--faults $(FAULTS) --seed $(SEED) $(TORTURE_ARGS)

dose:
	@$(MAKE) --no-print-directory torture FAULTS=100 \
		TORTURE_ARGS='--pace 0.4 --rate 1000'

# What the system does to a process: calls and allocations that fail, signals,
# limits. A dose of it; all with PYTEST_ARGS=--sweep.
check-process:
	@tests/tools/deps process
	@$(MAKE) --no-print-directory all
	WALSTREAM=$(OUT)/walstream $(PYTHON) -m pytest -q tests/process \
		$(PYTEST_ARGS)

# How fast is it? Pairs of runs, each with pg_recvlogical; see README.md.
bench:
	@tests/tools/deps bench
	@$(MAKE) --no-print-directory all $(OUT)/bench/reader \
		$(OUT)/bench/client
	@WALSTREAM=$(OUT)/walstream $(PYTHON) tests/bench/bench.py

# Instructions for a row on its way, without a network: no more than there were.
check-instructions:
	@tests/tools/deps instructions
	@$(MAKE) --no-print-directory $(OUT)/bench/path
	@$(PYTHON) tests/bench/instructions.py $(OUT)/bench/path \
		$(INSTRUCTIONS_ARGS)

$(OUT)/bench/%: tests/bench/%.c $(PARTS)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -Itests/unit -MMD -MP $(ALL_LDFLAGS) -o $@ $< \
		$(PARTS) $(LIBS)

$(OUT)/bench/client: tests/bench/client.cc proto/plugin.proto
	@mkdir -p $(@D)
	protoc -Iproto --cpp_out=$(@D) --grpc_out=$(@D) plugin.proto \
		--plugin=protoc-gen-grpc=$$(command -v grpc_cpp_plugin)
	$(CXX) -std=c++17 -O2 -I$(@D) $$(pkg-config --cflags grpc++) -o $@ $< \
		$(@D)/plugin.pb.cc $(@D)/plugin.grpc.pb.cc \
		$$(pkg-config --libs grpc++) -lprotobuf

# Is the oracle any good? Small faults of our own, which it has to find.
check-oracle:
	tests/tools/deps check
	$(PYTHON) tests/oracle/check-oracle $(ORACLE_ARGS)

# The parsers under libFuzzer, T seconds each, from what a PostgreSQL sends.
T = 60
fuzz:
	@tests/tools/deps fuzz
	@$(MAKE) --no-print-directory CC=clang OUT=build/fuzz HARDEN='-fPIE \
		-fsanitize=fuzzer-no-link,address,undefined \
		-fno-sanitize-recover=all -fno-omit-frame-pointer' fuzz-seeds
	@tests/fuzz/run build/fuzz $(T)

fuzz-seeds: $(OUT)/corpus/made
$(OUT)/corpus/made: tests/fuzz/capture | $(FUZZ)
	@mkdir -p $(@D)
	$(PYTHON) tests/fuzz/capture $(OUT)/fuzz_typecat $(@D)
	@touch $@

$(OUT)/fuzz_%: tests/fuzz/fuzz_%.c $(PARTS)
	$(CC) $(ALL_CFLAGS) -Itests/fuzz -MMD -MP -fsanitize=fuzzer \
		$(ALL_LDFLAGS) -o $@ $< $(PARTS) $(LIBS) -lyajl

.PHONY: check layers unit docs integration fidelity check-readme check-page \
	check-static check-chroot check-image check-examples check-h2spec \
	check-stacks check-process check-versions torture dose check-oracle \
	fuzz fuzz-seeds bench check-instructions
