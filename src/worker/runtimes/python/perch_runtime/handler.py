# Finds the function that a handler setting names: `module.function`, `package.module.function`, `folder/module.function`.
import importlib
import os
import sys

from .errors import Fault


# The module `perch`, beside the runtime's own.
_MODULES = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'modules')


def extend_path(code_folder):
    """The function's own modules come first, then its layers', then Python's: as on Lambda. Perch's come last."""
    entries = [code_folder, *os.environ.get('PYTHONPATH', '').split(os.pathsep)]
    found = [entry for entry in dict.fromkeys(entries) if entry != '' and entry not in sys.path]
    sys.path[0:0] = found
    sys.path.append(_MODULES)
    importlib.invalidate_caches()


def _other_version():
    """What the function's author may not expect: the machine's Python runs it, whatever its runtime's name."""
    named = os.environ.get('AWS_EXECUTION_ENV', '').removeprefix('AWS_Lambda_')
    major, minor, micro = sys.version_info[:3]
    if not named.startswith('python') or named == f'python{major}.{minor}':
        return ''
    return f' (its runtime is {named}; this machine runs it on Python {major}.{minor}.{micro})'


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
        message = f"Unable to import module '{module_name}': {error}{_other_version()}"
        raise Fault('Runtime.ImportModuleError', message) from None
    except SyntaxError as error:
        place = f'  File "{error.filename}" Line {error.lineno}\n    {error.text}'
        message = f"Syntax error in module '{module_name}': {error}{_other_version()}"
        raise Fault('Runtime.UserCodeSyntaxError', message, [place]) from None
    found = getattr(module, name, None)
    if not callable(found):
        raise Fault('Runtime.HandlerNotFound', f"Handler '{name}' missing on module '{module_name}'")
    return found
