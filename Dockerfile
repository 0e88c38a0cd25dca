# The broker as an image: docker build -t rigel-broker . && docker run -p 1026:1026 rigel-broker
# Flags follow the image's name, in Orion's spelling or in Rigel's.

FROM python:3.12-slim AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ zlib1g-dev \
    && rm -rf /var/lib/apt/lists/*
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY requirements.lock .
RUN pip install --constraint requirements.lock setuptools cython
COPY . .
# Into a tree of its own, so that the next stage gets neither compiler nor build tools.
RUN pip install --no-build-isolation --constraint requirements.lock --prefix /install .

FROM python:3.12-slim
COPY --from=build /install /usr/local
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin rigel \
    && install -d -o rigel -g rigel /data
# As Orion's image: services kept apart, the log on standard output.
ENV PYTHONUNBUFFERED=1 \
    RIGEL_DATA_DIR=/data \
    RIGEL_MULTISERVICE=true \
    RIGEL_FOREGROUND=true
USER rigel
WORKDIR /data
VOLUME /data
EXPOSE 1026
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:%s/ready' % os.environ.get('RIGEL_PORT', '1026'), timeout=4)"]
ENTRYPOINT ["rigel", "broker"]
