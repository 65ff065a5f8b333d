# Finds the function that a handler setting names: `module.function`, `package.module.function`, `folder/module.function`.
import importlib
import os
import sys

from .errors import Fault


def extend_path(code_folder):
    """The function's own modules come first, then its layers', then Python's: as on Lambda."""
    entries = [code_folder, *os.environ.get('PYTHONPATH', '').split(os.pathsep)]
    found = [entry for entry in dict.fromkeys(entries) if entry != '' and entry not in sys.path]
    sys.path[0:0] = found
    importlib.invalidate_caches()


def load_handler(handler):
    """Imports the module and with it runs the function's initialisation. Raises Lambda's faults."""
    module_name, dot, name = handler.rpartition('.')
    if dot == '' or module_name == '' or name == '':
        raise Fault('Runtime.MalformedHandlerName', f"Bad handler '{handler}': it is not of the form module.function")
    if module_name.split('.')[0] in sys.builtin_module_names:
        message = f'Cannot use built-in module {module_name} as a handler module'
        raise Fault('Runtime.BuiltInModuleConflict', message)
    try:
        module = importlib.import_module(module_name.replace('/', '.'))
    except ImportError as error:
        raise Fault('Runtime.ImportModuleError', f"Unable to import module '{module_name}': {error}") from None
    except SyntaxError as error:
        place = f'  File "{error.filename}" Line {error.lineno}\n    {error.text}'
        raise Fault(
            'Runtime.UserCodeSyntaxError', f"Syntax error in module '{module_name}': {error}", [place]
        ) from None
    found = getattr(module, name, None)
    if not callable(found):
        raise Fault('Runtime.HandlerNotFound', f"Handler '{name}' missing on module '{module_name}'")
    return found
