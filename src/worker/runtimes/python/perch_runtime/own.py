# What the runtime calls while a function's code runs beside it, taken before that code is loaded. Functions and their
# libraries replace parts of the standard library (a faster json, frozen clocks, fakes of os); what they do to
# themselves must not break the protocol. It is no protection from hostile code, which can write to the channel by itself.
import decimal
import json
import os
import time
import traceback
from _thread import RLock, get_ident
from struct import Struct

__all__ = ['RLock', 'Struct', 'get_ident']

read = os.read
write = os.write
close = os.close
exit_now = os._exit
clock = time.time
gmtime = time.gmtime
strftime = time.strftime
extract_tb = traceback.extract_tb
format_list = traceback.format_list
JSONDecodeError = json.JSONDecodeError
Decimal = decimal.Decimal


def _refuse_constant(name):
    raise JSONDecodeError('Expecting value', name, 0)


class _Decoder(json.JSONDecoder):
    # The methods themselves, whatever becomes of those of the class above.
    decode = json.JSONDecoder.decode
    raw_decode = json.JSONDecoder.raw_decode


class _Encoder(json.JSONEncoder):
    encode = json.JSONEncoder.encode
    iterencode = json.JSONEncoder.iterencode

    def default(self, value):
        if isinstance(value, Decimal):
            return float(value)
        raise TypeError(f'Object of type {type(value).__name__} is not JSON serializable')


# NaN and the infinities are no JSON, though Python's parser takes them.
parse_json = _Decoder(parse_constant=_refuse_constant).decode
_stringify = _Encoder(ensure_ascii=False).encode
_stringify_ascii = _Encoder(ensure_ascii=True).encode


def json_bytes(value):
    """JSON as UTF-8, other scripts than Latin as they are. Half a surrogate pair has no UTF-8: then all is escaped."""
    try:
        return _stringify(value).encode()
    except UnicodeEncodeError:
        return _stringify_ascii(value).encode()
