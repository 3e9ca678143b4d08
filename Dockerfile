# A tag can move. Add a digest if builds must be reproducible; see docs/how-to/deploy.md.
ARG PYTHON=python:3.13-slim

FROM ${PYTHON} AS build
# The lock file to install: image has the packages of the service; server adds those of identity import.
ARG LOCK=image
WORKDIR /build
RUN python -m venv --without-pip /opt/identity
COPY requirements requirements
RUN pip --python /opt/identity/bin/python install --no-cache-dir --require-hashes -r requirements/$LOCK.txt
# The build packages are locked as well, so pip must not download others. They stay in this stage.
RUN pip install --no-cache-dir --require-hashes -r requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir dist . \
    && pip --python /opt/identity/bin/python install --no-cache-dir --no-deps --no-index dist/*.whl

FROM ${PYTHON}
RUN useradd --system --uid 10001 --home-dir /var/lib/identity --create-home identity
COPY --from=build /opt/identity /opt/identity
ENV PATH=/opt/identity/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    IDENTITY_HOST=0.0.0.0 \
    IDENTITY_DATA_DIR=/var/lib/identity/data
WORKDIR /var/lib/identity
USER 10001
VOLUME /var/lib/identity
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health/live', timeout=2)"]
CMD ["identity", "serve"]
