// The dashboards of deploy/dashboards, as far as their test needs them.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export const root = join(import.meta.dirname, '../..');
const folder = join(root, 'deploy/dashboards');

export interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly datasource?: { readonly type: string; readonly uid: string };
  readonly gridPos: {
    readonly x: number;
    readonly y: number;
    readonly w: number;
    readonly h: number;
  };
  readonly targets?: readonly {
    readonly expr: string;
    readonly refId: string;
    readonly legendFormat: string;
    readonly datasource: { readonly uid: string };
  }[];
}

export interface Dashboard {
  readonly file: string;
  readonly uid: string;
  readonly title: string;
  readonly schemaVersion: number;
  readonly id: null;
  readonly panels: readonly Panel[];
  readonly templating: {
    readonly list: readonly {
      readonly name: string;
      readonly type: string;
      readonly definition?: string;
    }[];
  };
}

export function readDashboards(): readonly Dashboard[] {
  const files = readdirSync(folder).filter((name) => name.endsWith('.json'));
  return files.map((file) => {
    const dashboard = JSON.parse(readFileSync(join(folder, file), 'utf8')) as Dashboard;
    return { ...dashboard, file };
  });
}

/** Every expression with where it stands. */
export function expressionsOf(
  dashboard: Dashboard,
): readonly { readonly place: string; readonly expr: string; readonly legend: string }[] {
  return dashboard.panels.flatMap((panel) =>
    (panel.targets ?? []).map(({ expr, refId, legendFormat }) => ({
      place: `${dashboard.file}, panel '${panel.title}', ${refId}`,
      expr,
      legend: legendFormat,
    })),
  );
}

/** The metric of the table that a series belongs to, and what the series adds to its name. */
export function familyOf(series: string): { readonly name: string; readonly suffix: string } {
  const match = /^(.*_seconds)_(bucket|sum|count)$/.exec(series);
  return match === null ? { name: series, suffix: '' } : { name: match[1]!, suffix: match[2]! };
}
