"""Where frames come from: cameras, RTSP streams, video files and a generated scene."""
