"""Where frames go: virtual cameras, files, a browser page, nowhere."""
