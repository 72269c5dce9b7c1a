# Two images of one project:
#
#   docker build --target pvesim -t pvesim .             a simulated Proxmox VE cluster, on port 8006
#   docker build --target proxmox-mcp -t proxmox-mcp .   the MCP server, over standard input and output
#
# BASE is any image with Python 3.11 or later; the default keeps both images below 150 MB. BUILD_BASE is what the build
# runs on where that needs more, a proxy's authority or an index in the environment, say: with the same Python, and with
# its venv module. Both builders of Docker read this file, the one without BuildKit too.
ARG BASE=python:3.13-alpine
ARG BUILD_BASE=${BASE}

FROM ${BUILD_BASE} AS build
WORKDIR /source
COPY uv.lock pyproject.toml ./
# The tool at the version that the lock file names.
RUN python3 -m venv /uv \
    && /uv/bin/pip install --quiet --no-cache-dir --disable-pip-version-check \
       "uv==$(sed -n '/^name = "uv"$/{n;s/^version = "\(.*\)"$/\1/p;}' uv.lock)"
ENV UV_PROJECT_ENVIRONMENT=/opt/proxmoxapi UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never
# What the project stands on first: that layer stays when only the project changes.
RUN /uv/bin/uv sync --locked --quiet --no-cache --no-default-groups --no-install-project
COPY README.md LICENSE ./
COPY proxmox_mcp proxmox_mcp
COPY pvesim pvesim
COPY scenarios scenarios
RUN /uv/bin/uv sync --locked --quiet --no-cache --no-default-groups --no-editable

FROM ${BASE} AS runtime
COPY --from=build /opt/proxmoxapi /opt/proxmoxapi
# A number, so that an orchestrator can see that it is not root's; the name is for the eye.
RUN echo "proxmoxapi:x:10001:10001::/data:/sbin/nologin" >> /etc/passwd \
    && echo "proxmoxapi:x:10001:" >> /etc/group \
    && mkdir /data && chown 10001:10001 /data
ENV PATH=/opt/proxmoxapi/bin:$PATH PYTHONUNBUFFERED=1 HOME=/data
USER 10001:10001
WORKDIR /data
VOLUME /data

FROM runtime AS proxmox-mcp
ENV PROXMOX_STATE_DIR=/data
# It lives as long as its client's connection: nothing that a probe could ask.
HEALTHCHECK NONE
ENTRYPOINT ["proxmox-mcp"]
CMD ["serve"]

FROM runtime AS pvesim
# A service container gets no command line: its environment says what `pvesim serve` is told elsewhere.
ENV PVESIM_HOST=0.0.0.0
EXPOSE 8006
# Any answer will do; the certificate is made at start and known to nobody here.
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s --retries=3 \
    CMD ["python", "-c", "import ssl, urllib.request as web; web.urlopen('https://127.0.0.1:8006/', context=ssl._create_unverified_context(), timeout=2)"]
ENTRYPOINT ["pvesim"]
CMD ["serve"]
