"""The connection to the API server, for services that have one; they bring the package `kubernetes` themselves."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from kubernetes.aio import client, config

from veg_runtime.settings import SettingsError

_IN_CLUSTER = "KUBERNETES_SERVICE_HOST"


@asynccontextmanager
async def connected() -> AsyncIterator[client.ApiClient]:
    """The API server that $KUBECONFIG names, else the one of the cluster that we run in, else ~/.kube/config.

    Raises:
        SettingsError: there is none of these, or it cannot be read.
    """
    configuration = client.Configuration()
    try:
        file = os.environ.get("KUBECONFIG")
        if file is None and _IN_CLUSTER in os.environ:
            config.load_incluster_config(client_configuration=configuration)
        else:
            file = file or str(Path.home() / ".kube" / "config")
            await config.load_kube_config(config_file=file, client_configuration=configuration)
    except (config.ConfigException, OSError, RuntimeError) as error:  # RuntimeError: there is no home directory
        text = "environment variable KUBECONFIG: it must name a kubeconfig file, unless the service runs in the cluster"
        raise SettingsError(f"{text}; no way to the API server: {error}") from error
    async with client.ApiClient(configuration) as connection:
        yield connection
