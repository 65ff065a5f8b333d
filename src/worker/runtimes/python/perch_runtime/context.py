# The context object that Lambda documents for Python handlers.
import os

from . import own


class ClientContext:
    __slots__ = ('custom', 'env', 'client')


class Client:
    __slots__ = ('installation_id', 'app_title', 'app_version_name', 'app_version_code', 'app_package_name')


class CognitoIdentity:
    __slots__ = ('cognito_identity_id', 'cognito_identity_pool_id')


def _fill(made, values):
    for name in made.__slots__:
        setattr(made, name, values.get(name))
    return made


def _client_context(values):
    if not isinstance(values, dict):
        return None
    context = _fill(ClientContext(), values)
    if isinstance(context.client, dict):
        context.client = _fill(Client(), context.client)
    return context


class LambdaContext:
    def __init__(self, invocation, settings):
        self.aws_request_id = invocation.request_id
        self.log_group_name = settings.log_group_name
        self.log_stream_name = settings.log_stream_name
        self.function_name = settings.function_name
        self.memory_limit_in_mb = settings.memory_limit_in_mb
        self.function_version = settings.function_version
        self.invoked_function_arn = invocation.extra.get('arn', settings.arn)
        self.client_context = _client_context(invocation.extra.get('clientContext'))
        self.identity = _fill(CognitoIdentity(), {})
        self.tenant_id = None
        self._epoch_deadline_time_in_ms = invocation.deadline_ms

    def get_remaining_time_in_millis(self):
        return max(0, int(self._epoch_deadline_time_in_ms - own.clock() * 1000))

    def log(self, message):
        print(message, end='')

    def __repr__(self):
        return f'LambdaContext({self.__dict__})'


class Settings:
    """What the environment says of the function. Takes the agent's own part out of it."""

    def __init__(self):
        environment = os.environ
        self.function_name = environment.get('AWS_LAMBDA_FUNCTION_NAME')
        self.function_version = environment.get('AWS_LAMBDA_FUNCTION_VERSION')
        self.memory_limit_in_mb = environment.get('AWS_LAMBDA_FUNCTION_MEMORY_SIZE')
        self.log_group_name = environment.get('AWS_LAMBDA_LOG_GROUP_NAME')
        self.log_stream_name = environment.get('AWS_LAMBDA_LOG_STREAM_NAME')
        self.arn = environment.pop('PERCH_FUNCTION_ARN', None)
        self.response_bytes_max = int(environment.pop('PERCH_RESPONSE_BYTES_MAX'))
        self.code_folder = environment['LAMBDA_TASK_ROOT']
        self.handler = environment['_HANDLER']
