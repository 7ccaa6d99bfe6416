import type { Context } from '../context.js';
import type { Gatekeeper } from '../gatekeeper.js';
import type { LiveHub } from '../live.js';
import type { Metrics } from '../metrics.js';
import type { Route } from '../route.js';
import { accessRoutes } from './access.js';
import { cameraRoutes } from './cameras.js';
import { configRoutes } from './config.js';
import { documentRoutes } from './documents.js';
import { doorRoutes } from './doors.js';
import { eventRoutes } from './events.js';
import { keepingRoutes } from './keeping.js';
import { peopleRoutes } from './people.js';
import { recogniseRoutes } from './recognise.js';
import { systemRoutes } from './system.js';
import { unknownRoutes } from './unknown.js';

export interface Helpers {
  readonly gatekeeper: Gatekeeper;
  readonly metrics: Metrics;
  readonly live: LiveHub;
}

/** Every address of the interface; the OpenAPI document is made of the same list. */
export function allRoutes(context: Context, { gatekeeper, metrics, live }: Helpers): Route[] {
  const routes = [
    ...recogniseRoutes(context),
    ...peopleRoutes(context),
    ...eventRoutes(context, live),
    ...cameraRoutes(context, live),
    ...systemRoutes(context, metrics),
    ...unknownRoutes(context),
    ...configRoutes(context),
    ...doorRoutes(context),
    ...keepingRoutes(context),
    ...accessRoutes(context, gatekeeper),
  ];
  return [...routes, ...documentRoutes(routes, context)];
}
