# walstream alone in an empty file system.
#
#	docker build -t walstream .
#	docker buildx build --platform linux/amd64,linux/arm64 -t walstream .
#
# The builder stage is of the building machine's own architecture and compiles
# for the target's: nothing is emulated. What changes seldom comes first.

FROM --platform=$BUILDPLATFORM debian:bookworm-slim AS build
WORKDIR /src

# Versions are not pinned: a stable release of Debian has one of each package,
# and drops it for the next security update.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates make \
 && rm -rf /var/lib/apt/lists/*
ARG TARGETARCH
COPY tests/tools/deps tests/tools/
RUN tests/tools/deps static "$TARGETARCH"

# The libraries' sources are fetched again only when vendor/ changes.
COPY vendor vendor
RUN vendor/fetch

COPY . .
RUN make static ARCH="$TARGETARCH"

# What the image has, with its owners and modes.
RUN install -D -m 755 "build/static-$TARGETARCH/walstream" /image/walstream \
 && install -D -m 644 -t /image/etc/ssl/certs \
    /etc/ssl/certs/ca-certificates.crt \
 && install -D -m 644 -t /image/usr/share/licenses \
    "build/static-$TARGETARCH"/licenses/* \
 && echo 'walstream:x:65532:65532:walstream:/nonexistent:/sbin/nologin' \
    >/image/etc/passwd \
 && echo 'walstream:x:65532:' >/image/etc/group

FROM scratch
LABEL org.opencontainers.image.title="walstream" \
      org.opencontainers.image.description="Streams the row changes of a PostgreSQL database to gRPC clients" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="MIT"
COPY --from=build /image /
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
USER 65532:65532
EXPOSE 50051
STOPSIGNAL SIGTERM
# It asks the server at $HOST and $PORT, so change the port by -e PORT, not by
# --port. --timeout is longer than walstream health waits for an answer.
HEALTHCHECK --interval=10s --timeout=6s --start-period=30s --retries=3 \
    CMD ["/walstream", "health"]
ENTRYPOINT ["/walstream"]
