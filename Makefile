# walstream. GNU make.
#
#	make		build build/walstream
#	make demo	see it work, with a throwaway PostgreSQL
#	make check	build and run the tests
#	make install	PREFIX=/usr/local DESTDIR=
#	make static	ARCH=amd64|arm64: a program that needs nothing else
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
LIBS = -lnghttp2 -lprotobuf-nanopb -lssl -lcrypto

OUT = build
ifdef SANITIZE
OUT = build/sanitize
HARDEN += -fsanitize=address,undefined -fno-sanitize-recover=undefined \
	-fno-omit-frame-pointer
endif
ifdef WERROR
WARNINGS += -Werror
endif

ALL_CFLAGS = -std=c11 -D_GNU_SOURCE -DVERSION='"$(VERSION)"' $(WARNINGS) \
	$(HARDEN) -Isrc -I$(OUT)/gen $(CFLAGS)
ALL_LDFLAGS = $(HARDEN) -pie -Wl,-z,relro,-z,now $(LDFLAGS)

SRC = $(sort $(wildcard src/*.c src/*/*.c))
PROTO = $(sort $(wildcard proto/*.proto))
PB = $(PROTO:proto/%.proto=$(OUT)/gen/%.pb)
GEN = $(PB) $(OUT)/gen/saslprep_tables $(OUT)/gen/descriptor_tables \
	$(OUT)/gen/status_page
OBJ = $(SRC:src/%.c=$(OUT)/obj/%.o) $(GEN:$(OUT)/%=$(OUT)/obj/%.o)
# What a unit test links: everything but main.
PARTS = $(filter-out $(OUT)/obj/main.o,$(OBJ))

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

$(OUT)/gen/saslprep_tables.c: src/pg/saslprep_tables.py \
		src/pg/saslprep_tables.h
	@mkdir -p $(@D)
	$(PYTHON) $< >$@

$(OUT)/gen/descriptor_tables.c: src/grpc/descriptor_tables.py \
		src/grpc/descriptor_tables.h $(PROTO)
	@mkdir -p $(@D)
	protoc -Iproto --include_source_info --descriptor_set_out=$(@:.c=.set) \
		$(PROTO)
	$(PYTHON) $< $(@:.c=.set) >$@

$(OUT)/gen/status_page.c: src/server/status_page.py src/server/status.html \
		src/server/status_page.h
	@mkdir -p $(@D)
	$(PYTHON) $< >$@

-include $(OBJ:.o=.d)

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

clean:
	rm -rf build

.PHONY: all install static demo clean
.DELETE_ON_ERROR:

# make check and all the others; not in the context of the container image.
-include tests/tests.mk
