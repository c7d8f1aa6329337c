"""What the Functions host finds: every trigger, or only ``Health`` when the configuration cannot be used."""

import os

import azure.functions as func

os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # none is used, and looking for them reads every package

from scanguard_function.process import Process  # see above
from scanguard_function.registration import register  # as above

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)
register(app, Process.start())
