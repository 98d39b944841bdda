# Images of bmp-plugin in which all kernels are compiled, so that no container waits for the compiler:
#
#   docker build --target light -t bmp-plugin:light .     JSON vectors and CIFF, without Pyserini, Java and torch
#   docker build -t bmp-plugin .                          with them: the swap, Lucene indexes
#
# docs/how-to/containers.md says how to run them, and what CPU stands for.

FROM python:3.11-slim-trixie AS wheel
RUN apt-get update \
    && apt-get install -y --no-install-recommends openjdk-21-jdk-headless \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
ARG VERSION=0.2.0
RUN SETUPTOOLS_SCM_PRETEND_VERSION="$VERSION" pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.11-slim-trixie AS light
RUN useradd --create-home --uid 1000 bmp \
    && install -d -o bmp /data /var/cache/bmp-plugin
COPY constraints.txt /opt/bmp-plugin/
COPY --from=wheel /wheels /opt/bmp-plugin/wheels
ENV PIP_NO_CACHE_DIR=1 PIP_CONSTRAINT=/opt/bmp-plugin/constraints.txt PIP_FIND_LINKS=/opt/bmp-plugin/wheels
RUN pip install "bmp-plugin[ciff]"
# By itself, numba compiles for the processor of the builder; with these, for every processor that has what CPU names.
ARG CPU=x86-64-v3
ENV NUMBA_CPU_NAME=$CPU NUMBA_CPU_FEATURES="" NUMBA_CACHE_DIR=/var/cache/bmp-plugin
USER 1000
RUN bmp-plugin warmup
WORKDIR /data
ENTRYPOINT ["bmp-plugin"]
CMD ["--help"]

FROM light AS pyserini
USER root
RUN apt-get update \
    && apt-get install -y --no-install-recommends openjdk-21-jre-headless \
    && rm -rf /var/lib/apt/lists/*
# By itself, pip installs torch with CUDA, several gigabytes.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN pip install --no-deps torch --index-url "$TORCH_INDEX" \
    && pip install "bmp-plugin[pyserini,ciff,report]"
USER 1000
