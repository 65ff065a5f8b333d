# What runs inside the sandbox of a Python function whose instance is a process of its own: loads the handler, then
# answers one invocation after the other.
import os
import sys


def main():
    # Python runs isolated (-I), so that no module of the function's stands in for one that the runtime imports.
    folder = os.path.dirname(os.path.abspath(__file__))
    sys.path.insert(0, folder)
    from perch_runtime import channel, handler, log, own
    from perch_runtime.context import Settings
    from perch_runtime.errors import describe
    from perch_runtime.serve import EXIT_UNCAUGHT, Server, leave

    sys.path.remove(folder)
    channel.keep_from_children()
    settings = Settings()
    log.install()
    handler.extend_path(settings.code_folder)
    try:
        loaded = handler.load_handler(settings.handler)
    except SystemExit as error:
        leave(error)
    except BaseException as error:
        described = describe(error)
        log.log_error(described)
        channel.send(channel.INIT_ERROR, channel.FLAG_LAST, 0, own.json_bytes(described))
        own.exit_now(EXIT_UNCAUGHT)
    log.flush()
    Server(settings, loaded).run_forever()


# A child that multiprocessing spawns imports this file too.
if __name__ == '__main__':
    main()
