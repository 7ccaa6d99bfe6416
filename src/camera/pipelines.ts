import { FacedError } from '../domain/errors.js';
import type { CameraMode } from './source-uri.js';

/** Boards with a ribbon-cable camera that faced knows. */
export type Board = 'jetson' | 'raspberry-pi' | 'other';

/** From /proc/device-tree/model, like `Raspberry Pi 4 Model B Rev 1.4`; empty where there is none. */
export function boardOf(deviceTreeModel: string): Board {
  if (/jetson|nvidia/i.test(deviceTreeModel)) return 'jetson';
  if (/raspberry pi/i.test(deviceTreeModel)) return 'raspberry-pi';
  return 'other';
}

/** The newest frame only: what the reader was too slow for is dropped inside GStreamer already. */
const SINK = 'videoconvert ! video/x-raw,format=BGR ! appsink drop=true max-buffers=1 sync=false';

/**
 * The GStreamer pipeline for a ribbon-cable camera: NVIDIA's Argus on a Jetson, libcamera on a Raspberry Pi.
 * @throws FacedError `source.open-failed` on another board
 */
export function csiPipeline(board: Board, index: number, { width, height, fps }: CameraMode): string {
  const size = `width=${width},height=${height}`;
  const rate = `framerate=${fps}/1`;
  if (board === 'jetson') {
    // The image processor has no BGR: nvvidconv copies to main memory as BGRx, videoconvert drops the x.
    return (
      `nvarguscamerasrc sensor-id=${index} ! video/x-raw(memory:NVMM),${size},${rate},format=NV12 ! ` +
      `nvvidconv ! video/x-raw,${size},format=BGRx ! ${SINK}`
    );
  }
  if (board === 'raspberry-pi') {
    // libcamera names cameras by device-tree paths, not numbers.
    if (index !== 0) {
      throw new FacedError(
        'source.open-failed',
        `csi:${index} cannot be chosen by number on a Raspberry Pi.`,
        {
          fix: 'Use gstreamer:libcamerasrc camera-name=NAME, with a name from `libcamera-hello --list-cameras`.',
        },
      );
    }
    return `libcamerasrc ! video/x-raw,${size},${rate},format=NV12 ! ${SINK}`;
  }
  throw new FacedError('source.open-failed', 'This board has no CSI camera that faced knows.', {
    fix: 'Use v4l2:/dev/video0, or gstreamer: with the pipeline for this board.',
  });
}

/** The user's own pipeline, with a sink at its end when it has none. */
export function completePipeline(pipeline: string): string {
  const sinks = pipeline.match(/(^|!)\s*appsink\b/g) ?? [];
  if (sinks.length === 0) return `${pipeline.replace(/\s*!\s*$/, '')} ! ${SINK}`;
  if (sinks.length === 1 && /!\s*appsink\b[^!]*$/.test(pipeline)) return pipeline;
  throw new FacedError(
    'source.invalid',
    'appsink must be the last element of the pipeline, and the only one.',
    {
      fix: 'Leave appsink out: faced appends it.',
    },
  );
}
