"""What the Functions host finds: every trigger, or only ``Health`` when the configuration cannot be used."""

import azure.functions as func
from scanguard_function.process import Process
from scanguard_function.registration import register

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)
register(app, Process.start())
