# walstream. GNU make.
#
#	make		build build/walstream
#	make demo	see it work, with a throwaway PostgreSQL
#	make check	build and run every test
#	make install	PREFIX=/usr/local DESTDIR=
#
# SANITIZE=1 builds everything with AddressSanitizer and UBSan, WERROR=1 makes
# warnings errors. PG=14 ... 18 chooses the PostgreSQL that the tests run.

VERSION = 0.1.0
PREFIX = /usr/local
PYTHON = /usr/bin/python3

CFLAGS = -O2 -g
WARNINGS = -Wall -Wextra -Wshadow -Wmissing-prototypes -Wstrict-prototypes \
	-Wpointer-arith -Wcast-qual -Wsign-compare -Wvla -Wformat=2
HARDEN = -fstack-protector-strong -fPIE
LIBS = -lnghttp2 -lprotobuf-nanopb -lcrypto

OUT = build
ifdef SANITIZE
OUT = build/sanitize
HARDEN += -fsanitize=address,undefined -fno-sanitize-recover=undefined \
	-fno-omit-frame-pointer
endif
ifdef WERROR
WARNINGS += -Werror
endif

ifdef PG
export WALSTREAM_PG_BINDIR := $(shell tests/tools/pg-version $(PG))
$(if $(WALSTREAM_PG_BINDIR),,$(error no PostgreSQL $(PG)))
endif

ALL_CFLAGS = -std=c11 -D_GNU_SOURCE -DVERSION='"$(VERSION)"' $(WARNINGS) \
	$(HARDEN) -Isrc -I$(OUT)/gen $(CFLAGS)
ALL_LDFLAGS = $(HARDEN) -pie -Wl,-z,relro,-z,now $(LDFLAGS)

SRC = $(sort $(wildcard src/*.c src/*/*.c))
PB = $(patsubst proto/%.proto,$(OUT)/gen/%.pb,$(wildcard proto/*.proto))
OBJ = $(SRC:src/%.c=$(OUT)/obj/%.o) $(PB:$(OUT)/%=$(OUT)/obj/%.o)
# What a unit test links: everything but main.
PARTS = $(filter-out $(OUT)/obj/main.o,$(OBJ))
UNIT = $(patsubst tests/unit/%.c,$(OUT)/unit/%,$(wildcard tests/unit/test_*.c))
FUZZ = $(patsubst tests/fuzz/%.c,$(OUT)/%,$(wildcard tests/fuzz/fuzz_*.c))

all: $(OUT)/walstream

$(OUT)/walstream: $(OBJ)
	$(CC) $(ALL_LDFLAGS) -o $@ $(OBJ) $(LIBS)

$(OUT)/obj/%.o: src/%.c | $(PB:=.h)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(OUT)/obj/gen/%.o: $(OUT)/gen/%.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -c -o $@ $<

$(OUT)/gen/%.pb.c $(OUT)/gen/%.pb.h &: proto/%.proto
	@mkdir -p $(@D)
	protoc -Iproto --nanopb_out=$(OUT)/gen $<

$(OUT)/unit/%: tests/unit/%.c $(PARTS)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -Itests/unit -MMD -MP $(ALL_LDFLAGS) -o $@ $< \
		$(PARTS) $(LIBS) -lcmocka

-include $(OBJ:.o=.d) $(UNIT:=.d) $(FUZZ:=.d)

TO = $(DESTDIR)$(PREFIX)
install: $(OUT)/walstream $(OUT)/completion.bash $(OUT)/completion.zsh
	install -D -m 755 $(OUT)/walstream $(TO)/bin/walstream
	install -D -m 644 -t $(TO)/share/man/man1 man/walstream.1
	install -D -m 644 -t $(TO)/share/man/man7 man/walstream-protocol.7
	install -D -m 644 $(OUT)/completion.bash \
		$(TO)/share/bash-completion/completions/walstream
	install -D -m 644 $(OUT)/completion.zsh \
		$(TO)/share/zsh/site-functions/_walstream
	install -d $(TO)/lib/systemd/system
	sed 's,@BINDIR@,$(PREFIX)/bin,' src/walstream@.service.in \
		>$(TO)/lib/systemd/system/walstream@.service

$(OUT)/completion.%: $(OUT)/walstream
	$< completion $* >$@

# One file that needs nothing: build/static-$(ARCH)/walstream.
static:
	@tests/tools/deps static $(ARCH)
	@vendor/build $(ARCH)

# The two commands that do everything on a fresh machine.
demo:
	@tests/tools/deps demo
	@$(MAKE) -s --no-print-directory all
	@WALSTREAM=$(OUT)/walstream KEEP=$(KEEP) tests/tools/demo

check:
	@tests/tools/deps check
	@$(MAKE) --no-print-directory all layers unit integration \
		fidelity dose

layers:
	@tests/tools/layers

unit: $(UNIT)
	@for t in $(UNIT); do echo "== $$t"; $$t || exit 1; done

integration: $(OUT)/walstream
	WALSTREAM=$(OUT)/walstream WALSTREAM_SANITIZE=$(SANITIZE) \
		$(PYTHON) -m pytest -q tests/integration $(PYTEST_ARGS)

# Payloads against row_to_json, for every type there is.
fidelity: $(OUT)/walstream
	WALSTREAM=$(OUT)/walstream WALSTREAM_SANITIZE=$(SANITIZE) \
		WALSTREAM_SEED=$(SEED) \
		$(PYTHON) -m pytest -q tests/fidelity $(PYTEST_ARGS)

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

clean:
	rm -rf build

.PHONY: all install demo check layers unit integration fidelity \
	check-versions torture dose check-oracle fuzz fuzz-seeds clean
.DELETE_ON_ERROR:
