"""Settings of how it is watched: what is logged, where warnings go besides, where figures are told."""

from typing import Annotated, Literal

from msgspec import Meta

from infrastructure.settings_deployment import Deployment
from infrastructure.settings_parts import Secret

Level = Literal["debug", "info", "warning", "error"]


class Watching(Deployment, frozen=True, kw_only=True):
    """How it is watched. An empty string means: not set."""

    log_format: Annotated[Literal["json", "console"], Meta(description="form of a log line")] = "console"
    log_level: Annotated[Level, Meta(description="least level of a log line")] = "info"
    log_sink_url: Annotated[
        str,
        Meta(
            description="where warnings go besides: takes a POST of JSON lines, with the token; unset = nowhere"
        ),
    ] = ""
    log_sink_token: Annotated[Secret, Meta(description="bearer token for log_sink_url")] = ""
    log_sink_level: Annotated[Level, Meta(description="least level of a line for log_sink_url")] = "warning"
    metrics_host: Annotated[
        str, Meta(description="address at which `work` and `jobs` tell their figures")
    ] = "127.0.0.1"
    work_metrics_port: Annotated[
        int, Meta(ge=0, le=65535, description="port at which `work` tells its figures; 0 = none")
    ] = 0
    jobs_metrics_port: Annotated[
        int, Meta(ge=0, le=65535, description="port at which `jobs` tells its figures; 0 = none")
    ] = 0
