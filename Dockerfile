FROM python:3.13-slim AS build
WORKDIR /build
RUN python -m venv /opt/identity
COPY requirements/server.txt requirements/
RUN /opt/identity/bin/pip install --no-cache-dir --require-hashes -r requirements/server.txt
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN /opt/identity/bin/pip install --no-cache-dir --no-deps .

FROM python:3.13-slim
RUN useradd --system --home-dir /var/lib/identity --create-home identity
COPY --from=build /opt/identity /opt/identity
ENV PATH=/opt/identity/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    IDENTITY_HOST=0.0.0.0 \
    IDENTITY_DATA_DIR=/var/lib/identity/data
WORKDIR /var/lib/identity
USER identity
VOLUME /var/lib/identity
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health/live', timeout=2)"]
CMD ["identity", "serve"]
