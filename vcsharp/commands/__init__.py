"""The subcommands, each with `main(argv, console) -> exit code`, imported when called."""
