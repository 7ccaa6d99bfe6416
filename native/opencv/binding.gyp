{
  # Where OpenCV lives: Debian's place, or another one (build.sh sets these for a foreign sysroot).
  'variables': {
    'opencv_include%': '<!(echo "${FACED_OPENCV_INCLUDE:-/usr/include/opencv4}")',
  },
  'targets': [
    {
      'target_name': 'faced_opencv',
      'sources': [
        'src/addon.cc',
        'src/capture.cc',
        'src/codec.cc',
        'src/grabber.cc',
        'src/imgproc.cc',
        'src/writer.cc',
      ],
      'include_dirs': [
        "<!(node -p \"require('node-addon-api').include_dir\")",
        '<(opencv_include)',
      ],
      'defines': [
        'NAPI_VERSION=8',
        'NODE_ADDON_API_CPP_EXCEPTIONS',
        'NODE_ADDON_API_DISABLE_DEPRECATED',
        # A worker may be terminated while we are in a callback: that must not end the process.
        'NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS',
      ],
      'cflags!': ['-fno-exceptions'],
      'cflags_cc!': ['-fno-exceptions', '-fno-rtti', '-std=gnu++17', '-std=gnu++20'],
      'cflags_cc': ['-std=c++17', '-fexceptions', '-Wall', '-Wextra', '-Wno-unused-parameter', '-fvisibility=hidden'],
      # An rpath of the old kind counts for the libraries of our libraries too: stand-ins.sh says what is found there.
      'ldflags': ["-Wl,--disable-new-dtags,-rpath,'$$ORIGIN/stand-ins'"],
      'libraries': ['-lopencv_videoio', '-lopencv_imgcodecs', '-lopencv_imgproc', '-lopencv_core', '-pthread'],
    },
  ],
}
