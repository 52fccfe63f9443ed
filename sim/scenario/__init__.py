from .loading import Scenario, load, loads
from .files import shipped
from .schema import json_schema
from .quantities import Range
from .spec import *
