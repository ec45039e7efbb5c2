# syntax=docker/dockerfile:1
# Two images from one file: `--target api` (torch, the REST API) and `--target dashboard` (the pages, without torch).

FROM python:3.11-slim AS base
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore
RUN useradd --uid 10001 --user-group --create-home --shell /usr/sbin/nologin attention \
    && install --directory --owner=10001 --group=10001 /data
WORKDIR /app
# What is installed depends on these files alone, so a change of code reuses the layer. The code itself is run from
# /app: with no packages beside pyproject.toml yet, pip installs only the dependencies and the version.
COPY pyproject.toml constraints.txt README.md LICENSE ./


FROM base AS api
# The CPU build of torch is small. For CUDA: --build-arg TORCH_INDEX=https://pypi.org/simple, whose build for Linux on
# x86-64 is a CUDA one; or an index of https://download.pytorch.org/whl for a certain CUDA version.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
# What the service can do besides: scale brings Ray and the driver for PostgreSQL.
ARG EXTRA=server
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --constraint constraints.txt --extra-index-url "$TORCH_INDEX" ".[$EXTRA]"
COPY attention attention
COPY attention_lab attention_lab
COPY server server
ENV ATTENTION_HOST=0.0.0.0 \
    ATTENTION_PORT=8000 \
    ATTENTION_DATA=/data \
    OMP_WAIT_POLICY=PASSIVE
USER 10001:10001
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/v1/health', timeout=4)"]
CMD ["python", "-m", "server"]


FROM base AS dashboard
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --constraint constraints.txt '.[dashboard]'
# Of the rest of the project the pages know the questions, the answers and the errors: plain data, no torch.
COPY attention/__init__.py attention/py.typed attention/spec.py attention/names.py attention/errors.py \
    attention/precision.py attention/schemas.py attention/photos.py attention/progress.py attention/
COPY attention/client attention/client
COPY attention/registry attention/registry
COPY attention/reports attention/reports
COPY dashboard dashboard
COPY .streamlit .streamlit
ENV ATTENTION_API=http://api:8000
USER 10001:10001
EXPOSE 8501
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=4)"]
CMD ["python", "-m", "streamlit", "run", "dashboard/app.py", "--server.address", "0.0.0.0", "--server.port", "8501"]
